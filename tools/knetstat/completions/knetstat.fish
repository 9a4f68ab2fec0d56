complete --keep-order --exclusive --command knetstat --arguments "(COMPLETE=fish knetstat -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
