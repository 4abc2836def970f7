"use strict";
// Tables sort by a click on a header: up, down, and back to the order of the page.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headers = [...table.tHead.rows[0].cells];

  const text = (row, column) => row.cells[column].textContent.trim();
  const number = (words) => {
    const found = words.replace(/,(?=\d{3})/g, "").match(/^[+-]?\d+(\.\d+)?/);
    return found ? Number(found[0]) : NaN;
  };
  const empty = (words) => words === "-" || words === "";

  const sort = (column, direction) => {
    const words = rows.map((row) => text(row, column));
    const numeric = words.every((word) => empty(word) || !Number.isNaN(number(word)));
    const compare = (a, b) => {
      const [x, y] = [text(a, column), text(b, column)];
      // Empty cells stay last in both directions.
      if (empty(x) || empty(y)) return Number(empty(x)) - Number(empty(y));
      return direction * (numeric ? number(x) - number(y) : x.localeCompare(y, "en"));
    };
    body.append(...(direction ? [...rows].sort(compare) : rows));
  };

  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" };
      const state = next[header.getAttribute("aria-sort")];
      headers.forEach((other) => other.setAttribute("aria-sort", "none"));
      header.setAttribute("aria-sort", state);
      sort(column, { none: 0, ascending: 1, descending: -1 }[state]);
    });
  });
}

// The list of sections marks the one that is read.
const links = new Map(
  [...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]),
);
const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(target.id)?.setAttribute("aria-current", "true");
    }
  },
  { rootMargin: "-20% 0px -75%" },
);
document.querySelectorAll("main > section").forEach((section) => seen.observe(section));
