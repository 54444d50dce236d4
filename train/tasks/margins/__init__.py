"""Classification with angular margins: CosFace, ArcFace, SphereFace."""
