"""A data set as one HTML page that needs nothing else: counts, lengths, sizes, what was found, pictures of each class."""

from collections import Counter
from collections.abc import Sequence
from html import escape

from training.dataset import Dataset
from training.inspection import Finding, Inspected
from training.page import image, page, picture
from training.plots import counts_figure, histogram_figure

THUMBNAILS = 8
"""Of each class."""


def data_report(dataset: Dataset, inspected: Sequence[Inspected], found: Sequence[Finding]) -> str:
    """The page."""
    facts = [one.facts for one in inspected if one.facts]
    counts = Counter(label for clip in dataset.clips for label in clip.labels)
    sizes = Counter(f"{each.width} x {each.height}" for each in facts)
    sections = [
        f"<h1>{escape(dataset.name)}</h1><p>{len(dataset.clips)} clips, {dataset.counted_labels}, groups "
        f"{escape(dataset.grouping)}<br><small>fingerprint {dataset.fingerprint()}</small></p>",
        f"<h2>Clips of each {dataset.noun}</h2>"
        + picture(counts_figure([(label, counts[label]) for label in dataset.labels], "clips")),
        "<h2>Lengths</h2>" + picture(histogram_figure([each.duration_seconds for each in facts], "seconds")),
        f"<h2>Sizes and codecs</h2>{_table('size, px', sizes)}{_table('codec', Counter(each.codec for each in facts))}",
        f"<h2>Findings</h2>{_findings(found)}",
        "<h2>Pictures</h2>" + "".join(_pictures(label, inspected) for label in dataset.labels),
    ]
    return page(dataset.name, sections)


def _table(title: str, counts: Counter[str]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{count}</td></tr>" for name, count in counts.most_common(12))
    return f"<table><tr><th>{title}</th><th>clips</th></tr>{rows}</table><br>"


def _findings(found: Sequence[Finding]) -> str:
    if not found:
        return "<p>None.</p>"
    rows = "".join(
        f"<tr><td>{escape(each.kind)}</td><td>{escape(', '.join(each.clips))}</td><td>{escape(each.words)}</td></tr>"
        for each in found
    )
    return f"<table><tr><th>what</th><th>clips</th><th>why</th></tr>{rows}</table>"


def _pictures(label: str, inspected: Sequence[Inspected]) -> str:
    """Evenly over the clips of the label, so that no one person fills the row."""
    ours = [one for one in inspected if label in one.clip.labels and one.thumbnail is not None]
    chosen = ours[:: max(1, len(ours) // THUMBNAILS)][:THUMBNAILS]
    shown = "".join(
        f"<figure>{image(one.thumbnail, 'middle of the clip')}<figcaption>{escape(one.clip.name)}</figcaption></figure>"
        for one in chosen
        if one.thumbnail is not None
    )
    return f"<h3>{escape(label)}</h3><div class='sheet'>{shown}</div>"
