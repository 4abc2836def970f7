"""A small BERT of one's own: its tokenizer, and pre-training by masked LM."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from mtkd.common.files import whole
from mtkd.common.progress import Progress
from mtkd.common.seeds import derive_seed
from mtkd.method.encoders import quiet
from mtkd.method.settings import Pretraining
from mtkd.method.threads import fast_threads

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LONGEST = 128  # tokens, positions of the small BERT


def train_tokenizer(
    lines: Sequence[str], *, lowercase: bool, vocabulary: int
) -> transformers.PreTrainedTokenizerFast:
    """WordPiece tokenizer in BERT's form: all characters, and the most frequent words of the lines.

    Made without the library's trainer, whose order of equally frequent pieces changes from one
    process to the next.
    """
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    splitter = pre_tokenizers.BertPreTokenizer()
    words = Counter(
        word
        for line in lines
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(line))
    )
    letters = sorted({letter for word in words for letter in word})
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    pieces += sorted(words, key=lambda word: (-words[word], word))
    vocab = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    kept = {piece: number for piece, number in vocab.items() if number < vocabulary}
    tokenizer = Tokenizer(models.WordPiece(kept, unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=512,
    )


def pretrain(
    lines: Sequence[str],
    settings: Pretraining,
    folder: str | Path,
    *,
    lowercase: bool = True,
    seed: int = 0,
) -> list[float]:
    """Pre-train a small BERT on `lines`, save it to `folder`, return the loss of each epoch.

    The folder holds encoder and tokenizer as `MultiTaskModel.from_encoder` and transformers'
    `AutoModel` read them. BERT section 3.1, with a vocabulary of the lines' own words. A line of
    several sentences becomes a pair of texts, its first sentence and the rest, so that both
    segments and their separator are learnt in the form in which the tasks use them.
    """
    tokenizer = train_tokenizer(lines, lowercase=lowercase, vocabulary=settings.vocabulary)
    parts = [re.split(r"(?<=[.?!]) ", line, maxsplit=1) for line in lines]
    firsts = tokenizer([part[0] for part in parts], add_special_tokens=False)["input_ids"]
    rests = tokenizer([" ".join(part[1:]) for part in parts], add_special_tokens=False)["input_ids"]
    torch.manual_seed(derive_seed(seed, 0))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.attention_heads,
        intermediate_size=4 * settings.hidden,
        max_position_embeddings=LONGEST,
    )
    model = transformers.BertForMaskedLM(config)
    model.to(device)  # type: ignore[arg-type]
    texts = list(zip(firsts, rests, strict=True))
    with fast_threads(model):
        losses = masked_lm(model, texts, tokenizer, settings, seed=seed)
    with quiet(), whole(Path(folder)) as part:
        model.bert.save_pretrained(part)
        tokenizer.save_pretrained(part)
    return losses


def masked_lm(
    model: transformers.BertForMaskedLM,
    lines: list[tuple[list[int], list[int]]],
    tokenizer: transformers.PreTrainedTokenizerBase,
    settings: Pretraining,
    *,
    seed: int,
) -> list[float]:
    """BERT's two objectives: masked words, and whether the second text belongs to the first.

    `lines` are token ids of first and second texts, the second possibly empty. BERT section 3.1;
    returns the mean loss of each epoch.
    """
    device = model.device
    lengths = np.array([len(first) + len(rest) for first, rest in lines])
    paired = np.flatnonzero([len(rest) > 0 for _, rest in lines])
    beginnings = np.array([first[0] if first else 0 for first, _ in lines])
    per_epoch = -(-len(lines) // settings.batch_size)
    total = per_epoch * settings.epochs
    follows = torch.nn.Linear(model.config.hidden_size, 2).to(device)
    parameters = [*model.parameters(), *follows.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.1 * total), (total - step) / (0.9 * total))
    )
    losses = []
    model.train()
    with Progress(total, "pre-training") as progress:
        for epoch in range(1, settings.epochs + 1):
            rng = np.random.default_rng((seed, epoch))
            torch.manual_seed(derive_seed(seed, epoch))
            second = np.arange(len(lines))  # whose second text each line gets
            moved = paired[rng.random(len(paired)) < settings.swapped]
            # Partners begin with the same word where possible: names alone must not tell.
            moved = moved[np.lexsort((rng.random(len(moved)), beginnings[moved]))]
            second[moved] = np.roll(moved, 1)
            # Neighbours in length share a batch: a little noise keeps the batches changing.
            order = np.argsort(lengths + rng.random(len(lines)) * 3)
            batches = np.array_split(order, per_epoch)
            summed = 0.0
            for number in rng.permutation(per_epoch):
                rows = batches[number]
                texts = [(lines[i][0], lines[second[i]][1]) for i in rows]
                tokens, types = assemble(texts, tokenizer)
                inputs, chosen = mask_tokens(tokens, tokenizer, settings.masked, rng)
                real = torch.from_numpy(tokens != tokenizer.pad_token_id).long().to(device)
                states = model.bert(
                    input_ids=torch.from_numpy(inputs).to(device),
                    attention_mask=real,
                    token_type_ids=torch.from_numpy(types).to(device),
                ).last_hidden_state
                logits = model.cls(states[torch.from_numpy(chosen).to(device)])
                loss = F.cross_entropy(logits, torch.from_numpy(tokens[chosen]).to(device))
                pairs = torch.from_numpy(np.flatnonzero([len(b) > 0 for _, b in texts])).to(device)
                if len(pairs):
                    own = torch.from_numpy((second[rows] == rows).astype(np.int64)).to(device)
                    loss = loss + F.cross_entropy(follows(states[pairs, 0]), own[pairs])
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                optimizer.zero_grad()
                schedule.step()
                summed += float(loss.detach())
                progress.advance()
            losses.append(summed / per_epoch)
    model.eval()
    return losses


def assemble(
    texts: list[tuple[list[int], list[int]]], tokenizer: transformers.PreTrainedTokenizerBase
) -> tuple[np.ndarray, np.ndarray]:
    """[CLS] A [SEP] B [SEP] as padded int64 tokens and token types (B, T)."""
    cls, sep = [tokenizer.cls_token_id], [tokenizer.sep_token_id]
    heads = [(cls + first + sep)[:LONGEST] for first, _ in texts]
    rows = [
        (head + (rest + sep if rest else []))[:LONGEST]
        for head, (_, rest) in zip(heads, texts, strict=True)
    ]
    tokens = np.full((len(rows), max(map(len, rows))), tokenizer.pad_token_id, np.int64)
    types = np.zeros_like(tokens)
    for number, (head, row) in enumerate(zip(heads, rows, strict=True)):
        tokens[number, : len(row)] = row
        types[number, len(head) : len(row)] = 1
    return tokens, types


def mask_tokens(
    tokens: np.ndarray,
    tokenizer: transformers.PreTrainedTokenizerBase,
    fraction: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Corrupted copy of the tokens (80 % mask, 10 % random, 10 % kept); the places to predict."""
    ordinary = tokens >= len(SPECIAL)
    chosen = ordinary & (rng.random(tokens.shape) < fraction)
    if not chosen.any():
        chosen[tuple(np.argwhere(ordinary)[0])] = True
    fate = rng.random(tokens.shape)
    inputs = tokens.copy()
    inputs[chosen & (fate < 0.8)] = tokenizer.mask_token_id
    random = chosen & (fate >= 0.9)
    inputs[random] = rng.integers(len(SPECIAL), len(tokenizer), random.sum())
    return inputs, chosen
