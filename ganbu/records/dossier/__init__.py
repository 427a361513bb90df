"""The personnel file (干部人事档案): auditing it before an appointment, its issues, its materials and who has them."""
