"""A made-up district to try everything on (虚构县区)."""

from ganbu.synthetic.district import DEFAULT_DAY, DEFAULT_SEED, build_district
from ganbu.synthetic.files import write_lrmx_folder

__all__ = ["DEFAULT_DAY", "DEFAULT_SEED", "build_district", "write_lrmx_folder"]
