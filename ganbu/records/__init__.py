"""The record on disk (档案文件夹): importing into it, undoing an import, exporting from it."""
