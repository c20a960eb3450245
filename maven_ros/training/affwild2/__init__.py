"""Aff-Wild2 (Kollias & Zafeiriou, 2019): its layout, made ready for training, and imitated."""
