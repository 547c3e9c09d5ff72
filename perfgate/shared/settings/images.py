"""The settings of diffusers' models: of generating images by denoising, and of training the denoiser."""

from perfgate.shared.settings.common import LORA_RANK, PRECISION
from perfgate.shared.settings.declaration import Kind, Need, Settings, choice, count, size

GENERATING = Need(package="diffusers", extra="images", kinds=("image_generation",))
TRAINING = Need(package="diffusers", extra="images", kinds=("denoiser_training",))


def of_the_unet_alone(settings: Settings) -> str:
    """The pipeline of a transformer takes a class in place of a prompt, and its blocks have their own attention."""
    if "text_encoder" in settings.get("config", {}):
        return ""
    named = [name for name in ("attention", "attention_slicing") if settings.get(name) not in (None, "sdpa", False)]
    return f"{named[0]} is a setting of a UNet's pipeline here; leave it out" if named else ""


def sliced_and_chosen(settings: Settings) -> str:
    """Slicing is itself a way to compute attention."""
    if settings.get("attention_slicing") and settings.get("attention", "sdpa") != "sdpa":
        return "attention_slicing=True takes the place of the attention; leave one of them out"
    return ""


def between_two_pixels(settings: Settings) -> str:
    """The decoder makes a square of pixels of each latent pixel; every block but the last doubles width and height."""
    pixels, config = settings.get("image_size", 0), settings.get("config", {})
    patch = config.get("denoiser", {}).get("patch_size") or 1
    step = patch * 2 ** (len(config.get("vae", {}).get("block_out_channels", [0])) - 1)
    return f"image_size={pixels} must be a multiple of {step} pixels for this model" if pixels % step else ""


def not_of_a_transformer(settings: Settings) -> str:
    """diffusers' class for this transformer supports no adapters, and names no blocks to compile."""
    if "text_encoder" in settings.get("config", {}):
        return ""
    if settings.get("compile") == "regional":
        return "compile='regional' needs blocks that diffusers names, as a UNet's; choose 'whole'"
    named = next((name for name in ("lora", "lora_rank") if settings.get(name) not in (None, "off", 0)), "")
    if named:
        return f"{named}={settings[named]!r} needs a denoiser that takes adapters, as a UNet does; leave it out"
    return ""


def compiled_with_more(settings: Settings) -> str:
    """Hooks that move weights or keep results run between operators that the compiler would combine."""
    if settings.get("compile", "off") == "off":
        return ""
    named = next((name for name in ("offload", "cache") if settings.get(name, "off") != "off"), "")
    return f"compile and {named} both change how the denoiser is called; leave one of them out" if named else ""


IMAGE_SIZE = count(
    "image_size",
    "pixels of an image's side; 0 leaves it to the model",
    conflicts=(between_two_pixels,),
    left_open=True,
    unread="the size of an image shows in its pixels and in the FLOPs",
    option="image_size",
)
IMAGE_GENERATION = Kind(
    "image_generation",
    (
        size("batch_size", 1, "images of a step", option="batch_size"),
        size("denoising_steps", 4, "steps of the scheduler", needs=(GENERATING,), option="steps"),
        choice(
            "guidance",
            (False, True),
            "whether the denoiser also sees each image without its prompt",
            option="guidance",
        ),
        choice("scheduler", ("ddim", "euler", "dpm"), "how noise is taken away", option="scheduler"),
        PRECISION,
        choice(
            "attention",
            ("sdpa", "eager"),
            "the denoiser's attention",
            conflicts=(of_the_unet_alone, sliced_and_chosen),
            option="attention",
        ),
        choice(
            "attention_slicing",
            (False, True),
            "whether the denoiser attends head by head",
            option="attention_slicing",
        ),
        choice("vae_tiling", (False, True), "whether the decoder works on tiles of an image", option="vae_tiling"),
        choice("vae_slicing", (False, True), "whether the decoder works image by image", option="vae_slicing"),
        choice("channels_last", (False, True), "whether the denoiser's weights have their channels last"),
        IMAGE_SIZE,
        choice(
            "offload",
            ("off", "model", "layers"),
            "whether weights wait in the host's memory until their `model` is called, or each of its `layers`",
            needs=(Need(gpu=True),),
            option="offload",
        ),
        choice(
            "compile",
            ("off", "whole", "regional"),
            "whether `torch.compile` makes kernels of the denoiser as a whole, or of each of its transformer blocks",
            needs=(Need(compiler=True, dry=False),),
            conflicts=(compiled_with_more, not_of_a_transformer),
        ),
        choice(
            "lora",
            ("off", "on", "fused"),
            "adapters of rank 16 beside the denoiser's attention; `fused` adds them to its weights before",
            needs=(Need(package="peft", extra="peft"),),
            conflicts=(not_of_a_transformer,),
        ),
        choice(
            "cache",
            ("off", "pyramid_attention_broadcast"),
            "what the denoiser keeps between steps: results of attention, each used in two steps but at the ends",
            conflicts=(compiled_with_more,),
        ),
    ),
)
DENOISER_TRAINING = Kind(
    "denoiser_training",
    (
        size("batch_size", 4, "images of a micro-batch", needs=(TRAINING,), option="batch_size"),
        size("gradient_accumulation", 1, "micro-batches of a step", option="gradient_accumulation"),
        PRECISION.of(
            "fp32",
            "bf16",
            "bf16-amp",
            doc="number type: `bf16` holds weights in it, `bf16-amp` keeps them in 32 bits and computes in 16",
        ),
        choice(
            "optimizer",
            ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd"),
            "optimizer, as `TrainingArguments.optim` names it",
            option="optimizer",
        ),
        choice(
            "activation_checkpointing",
            (False, True),
            "whether blocks compute their activations again in the backward pass",
            option="activation_checkpointing",
        ),
        LORA_RANK.but(
            doc="rank of the adapters of attention that are trained in place of the weights; 0 trains all weights",
            conflicts=(not_of_a_transformer,),
        ),
        IMAGE_SIZE,
    ),
)
