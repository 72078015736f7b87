"""Records in, records out. No onnxruntime; the event loop lives here."""
