"""The command line: thin. Each command reads its flags, calls the library, and shows what it gives.

main.py       the application; errors become exit codes here and nowhere else
options.py    the flags that several commands share
indexing.py   index
searching.py  search
upkeep.py     status, roots, forget, doctor, compact
models.py     models, models pull, models check      spaces.py  models use, models drop
exporting.py  models export                         joining.py  models fit-joint      downloads.py  their bar
concepts.py   concepts save, list, show, refresh, tick, cross, rename, drop, export
duplicates.py duplicates                            duplicates_shown.py  its groups as text, JSON, a page
demo.py       demo
answers.py    hits as text, JSON or paths      pages.py  as an HTML page      plots.py  as a figure
"""
