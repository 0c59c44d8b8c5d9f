"""Evaluation inside loops of Hugging Face Accelerate, such as the training scripts of diffusers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from facebench.training.engine.callbacks.periodic import Evaluated, PeriodicEvaluation, Sampler


def evaluate_step(
    accelerator: Any, evaluation: PeriodicEvaluation, step: int, model: Any
) -> Evaluated | None:
    """Evaluate a prepared model after a step if it is due, and log the numbers to the trackers of the accelerator.

    Call it on every process after `optimizer.step()` and the update of the averaged weights.

    Args:
        accelerator: `accelerate.Accelerator`.
        evaluation: what to evaluate, and when.
        step: number of optimizer steps done.
        model: the model, prepared by the accelerator or not.

    Returns:
        The evaluation; None if none was due, affordable or possible.
    """
    found = evaluation.evaluate(step, accelerator.unwrap_model(model))
    if found is not None:
        accelerator.log(found.numbers, step=step)
    return found


def pipeline_sampler(make_pipeline: Callable[[Any], Any], **call: Any) -> Sampler:
    """Return a sampler that draws images with a pipeline of diffusers.

    Args:
        make_pipeline: function of the model that returns a pipeline, such as
            `lambda unet: DDPMPipeline(unet, scheduler)`.
        call: arguments of the pipeline besides `batch_size`, such as `num_inference_steps=50`; `prompt` may be a list
            whose entries take turns.
    """
    drawn = {"images": 0}

    def sample(model: Any, count: int) -> Any:
        pipeline = make_pipeline(model)
        pipeline.set_progress_bar_config(disable=True)
        arguments = dict(call)
        if "prompt" in call:
            prompts = [call["prompt"]] if isinstance(call["prompt"], str) else list(call["prompt"])
            arguments["prompt"] = [prompts[(drawn["images"] + i) % len(prompts)] for i in range(count)]
            drawn["images"] += count
        else:
            arguments["batch_size"] = count
        # Pipelines draw noise with this generator, which follows the seed of the evaluation.
        arguments.setdefault("generator", torch.Generator().manual_seed(int(torch.randint(2**62, ()))))
        return pipeline(**arguments).images

    return sample
