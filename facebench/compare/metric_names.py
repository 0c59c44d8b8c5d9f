"""Names of metrics as the literature writes them: "FID" for `fid_clean`, "EER (ArcFace)" for `eer_arcface`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_FAMILIES = {
    "fid_clean": "FID",
    "fid_tf": "FID (TensorFlow)",
    "fid_legacy": "FID (legacy)",
    "fid_inf": "FID (n to infinity)",
    "kid": "KID",
    "kd": "KD",
    "fd": "FD",
    "cmmd": "CMMD",
    "mmd": "MMD",
    "mind": "MIND",
    "lpips": "LPIPS",
    "vendi": "Vendi",
    "cr_fiqa": "CR-FIQA",
    "eer": "EER",
    "fdr": "FDR",
    "auc": "AUC",
    "fmr100": "FMR100",
    "fmr1000": "FMR1000",
    "zero_fmr": "ZeroFMR",
    "d_prime": "d′",
    "retrieval_rank1": "Rank-1",
    "retrieval_map": "mAP",
    "genuine_mean": "Genuine mean",
    "genuine_std": "Genuine SD",
    "impostor_mean": "Impostor mean",
    "impostor_std": "Impostor SD",
    "identity_similarity": "ID similarity",
    "identity_leak": "ID similarity to target",
    "edit_benchmark_mscr": "MSCR",
    "edit_benchmark_accuracy": "Edit accuracy",
    "edit_benchmark_linearity": "Edit linearity",
    "edit_benchmark_harmonic": "Edit harmonic mean",
    "light_side_std": "Light side SD",
    "skin_tone_ita_std": "Skin tone ITA SD",
    "skin_tone_ita": "Skin tone ITA",
}
"""Names of families that are not their id with spaces."""
_NETWORKS = {
    "sface": "SFace",
    "arcface": "ArcFace",
    "faceapi": "face-api",
    "buffalo": "buffalo_l",
    "lite0": "Lite0",
    "dinov2": "DINOv2",
    "vgg16": "VGG16",
    "emonet8": "EmoNet-8",
    "emonet5": "EmoNet-5",
    "maxvit": "MaxViT V/A",
    "maxvitc": "MaxViT",
    "emotieff": "EmotiEffLib",
    "emotieffmbf": "EmotiEffLib-MBF",
    "reader": "FaceReader",
    "deca": "DECA",
    "emoca": "EMOCA",
    "s": "S",
}
_QUALIFIERS = {
    "std": "SD",
    "strict": "strict",
    "real": "real",
    "released": "released",
    "bgr": "BGR",
    "far1": "FAR 1 %",
}
_ACRONYMS = {"ccc": "CCC", "rmse": "RMSE", "sagr": "SAGR", "pcc": "PCC"}


def metric_name(metric: str) -> str:
    """Return the name of a metric as the literature writes it.

    Args:
        metric: id, with `@SET` for a named reference set.

    Example:
        >>> [metric_name(metric) for metric in ("fid_clean", "eer_arcface_real", "fd_dinov2@FFHQ")]
        ['FID', 'EER (ArcFace, real)', 'FD (DINOv2, FFHQ)']
    """
    name, _, reference = metric.partition("@")
    family, network, qualifiers = _split(name)
    details = [*([_NETWORKS[network]] if network else []), *qualifiers, *([reference] if reference else [])]
    return f"{family} ({', '.join(details)})" if details else family


def metric_names(metrics: Sequence[str], labels: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return distinct names of metrics; ids that share a name keep their id.

    Args:
        metrics: ids.
        labels: names that replace the ones of the literature.
    """
    names = {metric: (labels or {}).get(metric, metric_name(metric)) for metric in metrics}
    counts: dict[str, int] = {}
    for name in names.values():
        counts[name] = counts.get(name, 0) + 1
    return {metric: name if counts[name] == 1 else metric for metric, name in names.items()}


def _split(name: str) -> tuple[str, str, list[str]]:
    """Split an id into the name of its family, its network, and its qualifiers."""
    if name in _FAMILIES:
        return _FAMILIES[name], "", []
    words = name.split("_")
    qualifiers: list[str] = []
    while len(words) > 1 and words[-1] in _QUALIFIERS:
        qualifiers.insert(0, _QUALIFIERS[words.pop()])
    network = words.pop() if len(words) > 1 and words[-1] in _NETWORKS else ""
    family = "_".join(words)
    text = _FAMILIES.get(family) or " ".join(_ACRONYMS.get(word, word) for word in words)
    return text[:1].upper() + text[1:], network, qualifiers
