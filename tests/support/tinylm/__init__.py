"""Our own architecture, registered with transformers on import."""

from tinylm.configuration_tinylm import TinyConfig
from tinylm.modeling_tinylm import TinyForCausalLM
from transformers import AutoConfig, AutoModelForCausalLM

AutoConfig.register("tinylm", TinyConfig)
AutoModelForCausalLM.register(TinyConfig, TinyForCausalLM)
