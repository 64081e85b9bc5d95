"""Measure the exported TorchScript models and write their entries of models/manifest.json.

measure.py [--models models] [--mnist DIR] [--sheets DIR]: the classifier on the test
split; each generator by what the classifier makes of 10,000 prior samples. A contact sheet of each
generator goes to --sheets. text/measure.py has the models of the text demo.
"""
import argparse
import hashlib
import json
import os

import torch

from data import DEFAULT_MNIST, SLANTS, THICKNESSES, ColouredDigits
from export import MODELS

SAMPLES = 10000


def run(model, x, size=500):
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(size)])


def penultimate(classifier, images):
    """The 64 features that the classifier's last Linear reads."""
    return run(classifier.features, images).double()


def frechet(a, b):
    """Fréchet distance between the Gaussians fitted to two sets of features."""
    mean = (a.mean(0) - b.mean(0)).square().sum()
    ca, cb = torch.cov(a.T), torch.cov(b.T)
    cross = torch.linalg.eigvals(ca @ cb).real.clamp_min(0).sqrt().sum()
    return float(mean + ca.trace() + cb.trace() - 2 * cross)


def calibration_error(confidence, correct, bins=15):
    """Expected calibration error over equally wide bins of confidence."""
    bin_of = (confidence * bins).long().clamp_max(bins - 1)
    gaps = [(confidence[bin_of == i].sum() - correct[bin_of == i].sum()).abs() for i in range(bins)]
    return float(sum(gaps) / len(confidence))


def measure_classifier(classifier, test):
    images, digits = test.batch(torch.arange(len(test)))
    logits = run(classifier, images)
    confidence, guess = logits.softmax(1).max(1)
    correct = (guess == digits).float()

    def split(names, key):
        return {n: round(float(correct[test.attributes[key] == i].mean()), 4) for i, n in enumerate(names)}

    return {
        "test_accuracy": round(float(correct.mean()), 4),
        "test_nll": round(float(torch.nn.functional.cross_entropy(logits, digits)), 4),
        "test_mean_confidence": round(float(confidence.mean()), 4),
        "test_calibration_error": round(calibration_error(confidence, correct), 4),
        "test_accuracy_by_thickness": split(THICKNESSES, "thickness"),
        "test_accuracy_by_slant": split(SLANTS, "slant"),
    }


def measure_generator(images, classifier, real):
    """`real`: penultimate features of the test images."""
    p = run(classifier, images).softmax(1)
    confidence, guess = p.max(1)
    share = torch.bincount(guess, minlength=10).float() / len(guess)
    return {
        "class_share": [round(float(s), 4) for s in share],
        "class_entropy_over_log10": round(float(-(share * share.clamp_min(1e-9).log()).sum() / torch.tensor(10.0).log()), 4),
        "mean_confidence": round(float(confidence.mean()), 4),
        "share_confidence_over_0.9": round(float((confidence > 0.9).float().mean()), 4),
        "share_confidence_under_0.5": round(float((confidence < 0.5).float().mean()), 4),
        "frechet_to_test_images": round(frechet(penultimate(classifier, images), real), 2),
        "pixel_mean": round(float(images.mean()), 4),
        "pixel_std": round(float(images.std()), 4),
        "pixel_min": round(float(images.min()), 4),
        "pixel_max": round(float(images.max()), 4),
    }


def sheet(images, path, columns=24):
    from PIL import Image
    rows = len(images) // columns
    pixels = ((images[:rows * columns] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pixels = pixels.view(rows, columns, 3, 32, 32).permute(0, 3, 1, 4, 2).reshape(rows * 32, columns * 32, 3)
    Image.fromarray(pixels.numpy()).resize((columns * 64, rows * 64)).save(path)


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def write_entries(models, specs, metrics):
    """Put entries for both files of each model of `metrics` (name: numbers) in the manifest, in place of old ones."""
    path = os.path.join(models, "manifest.json")
    entries = []
    if os.path.exists(path):
        with open(path) as f:
            entries = [entry for entry in json.load(f) if entry["name"] not in metrics]
    for name, numbers in metrics.items():
        spec = specs[name]
        row = ["length"] if spec.words else list(spec.row)
        for file in (name + ".onnx", name + ".pt"):
            entries.append({
                "name": name, "file": file, "bytes": os.path.getsize(os.path.join(models, file)),
                "sha256": sha256(os.path.join(models, file)), "inputs": {spec.input: ["batch", *row]},
                "outputs": {output: ["batch", *shape] for output, shape in spec.outputs.items()}, "metrics": numbers,
            })
    with open(path, "w") as f:
        json.dump(entries, f, indent=2)
        f.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="models")
    parser.add_argument("--mnist", default=DEFAULT_MNIST)
    parser.add_argument("--sheets")
    args = parser.parse_args()
    torch.set_num_threads(2)
    test = ColouredDigits(args.mnist, "test", 1)
    again = ColouredDigits(args.mnist, "test", 2)
    loaded = {n: torch.jit.load(os.path.join(args.models, n + ".pt")) for n in MODELS
              if os.path.exists(os.path.join(args.models, n + ".pt"))}
    classifier = loaded["classifier"]
    everything = torch.arange(len(test))
    images = test.batch(everything)[0]
    real = penultimate(classifier, images)
    measured = {}
    for name, model in loaded.items():
        if name == "classifier":
            metrics = measure_classifier(model, test)
            metrics["frechet_between_two_test_renderings"] = round(
                frechet(penultimate(model, again.batch(everything)[0]), real), 2)
            metrics["test_pixel_mean"] = round(float(images.mean()), 4)
            metrics["test_pixel_std"] = round(float(images.std()), 4)
        else:
            z = torch.randn(SAMPLES, *MODELS[name].row, generator=torch.Generator().manual_seed(5))
            samples = run(model, z)
            metrics = measure_generator(samples, classifier, real)
            if args.sheets:
                sheet(samples[:240], os.path.join(args.sheets, name + ".png"))
        measured[name] = metrics
        print(name, json.dumps(metrics, indent=1))
    write_entries(args.models, MODELS, measured)


if __name__ == "__main__":
    main()
