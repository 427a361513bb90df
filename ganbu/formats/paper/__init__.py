"""The 任免审批表 on paper (打印): docx from a template that a department may edit, pdf from a typst page.

Both shrink the type of a box until its text fits, as the office form does.
"""

from ganbu.formats.paper.page import paper_values
from ganbu.formats.paper.pdf import form_pdf
from ganbu.formats.paper.word import form_docx, form_template

__all__ = ["form_docx", "form_pdf", "form_template", "paper_values"]
