"""The build; pyproject.toml says all but this: a wheel has the notebooks inside the package."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithNotebooks(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:  # a checkout's notebooks are opened where they are
            return
        folder = Path(self.build_lib, "mtkd", "notebooks")
        self.mkpath(str(folder))
        for notebook in Path("notebooks").glob("*.ipynb"):
            self.copy_file(str(notebook), str(folder / notebook.name))


setup(cmdclass={"build_py": BuildWithNotebooks})
