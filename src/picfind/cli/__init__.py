"""The command line: thin. Each command reads its flags, calls the library, and shows what it gives.

main.py       the application; errors become exit codes here and nowhere else
options.py    the flags that several commands share
indexing.py   index
searching.py  search
upkeep.py     status, roots, forget, doctor, compact
models.py     models
demo.py       demo
answers.py    hits as text, JSON or paths      pages.py  as an HTML page      plots.py  as a figure
"""
