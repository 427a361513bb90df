"""The vocabulary (词汇表): registers, fields, code tables and shared facts, all of it data."""

from ganbu.vocabulary.codes import CodeTable, load_codes
from ganbu.vocabulary.registers import Field, Register, Vocabulary, load_vocabulary

__all__ = ["CodeTable", "Field", "Register", "Vocabulary", "load_codes", "load_vocabulary"]
