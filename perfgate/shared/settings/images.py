"""The settings of image generation by denoising, as diffusers does it."""

from perfgate.shared.settings.common import PRECISION
from perfgate.shared.settings.declaration import Kind, Need, Settings, choice, size

ALWAYS = Need(package="diffusers", extra="images", kinds=("image_generation",))


def of_the_unet_alone(settings: Settings) -> str:
    """A transformer's pipeline is told of a class, and its blocks have attention of their own."""
    if "text_encoder" in settings.get("config", {}):
        return ""
    named = [name for name in ("attention", "attention_slicing") if settings.get(name) not in (None, "sdpa", False)]
    return f"{named[0]} is a setting of a UNet's pipeline here; leave it out" if named else ""


def sliced_and_chosen(settings: Settings) -> str:
    """Slicing is an attention by itself."""
    if settings.get("attention_slicing") and settings.get("attention", "sdpa") != "sdpa":
        return "attention_slicing=True takes the place of the attention; leave one of them out"
    return ""


IMAGE_GENERATION = Kind(
    "image_generation",
    (
        size("batch_size", 1, "images of a step"),
        size("denoising_steps", 4, "steps of the scheduler", needs=(ALWAYS,)),
        choice("guidance", (False, True), "whether the denoiser also sees each image without its prompt"),
        choice("scheduler", ("ddim", "euler", "dpm"), "how noise is taken away"),
        PRECISION.but(option=""),
        choice(
            "attention",
            ("sdpa", "eager"),
            "the denoiser's attention",
            conflicts=(of_the_unet_alone, sliced_and_chosen),
        ),
        choice("attention_slicing", (False, True), "whether the denoiser attends head by head"),
        choice("vae_tiling", (False, True), "whether the decoder works on tiles of an image"),
        choice("vae_slicing", (False, True), "whether the decoder works image by image"),
        choice("channels_last", (False, True), "whether the denoiser's weights have their channels last"),
    ),
)
