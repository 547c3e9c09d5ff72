"""A small language model; importing this package registers it with transformers."""

from transformers import AutoConfig, AutoModelForCausalLM

from rill.configuration_rill import RillConfig
from rill.modeling_rill import RillForCausalLM

AutoConfig.register("rill", RillConfig)
AutoModelForCausalLM.register(RillConfig, RillForCausalLM)
