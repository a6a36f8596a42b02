"""The LlamaIndex adapter. Not part of this version: the name is reserved so that its release breaks nobody."""
