"""Aff-Wild2 (Kollias & Zafeiriou, 2019): layout, preparation and a generated imitation."""
