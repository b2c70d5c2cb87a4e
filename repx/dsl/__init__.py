"""Stages, pipelines, sweeps and their instantiation into a derivation graph; reads files, never writes."""
