"""The bench behind `pydl bench`: cases, and timing in turns. The development benches (benches/) share its code."""
