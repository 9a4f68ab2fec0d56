#!/usr/bin/env zsh
# SPDX-License-Identifier: GPL-2.0
#
# Types the beginnings of words into bash, zsh and fish, presses Tab, and checks the result. Needs
# the installed command, with its completions, and bash-completion.
#
# usage: tools/knetstat/tests/shells.zsh

emulate -R zsh
zmodload zsh/zpty
failed=0

# check SHELL TYPED EXPECTED SEEN
check() {
	if [[ $4 == *$3* ]]; then
		print "$1: $2 -> $3"
	else
		print "$1: $2 -> $3 FAILED:"
		print -r -- ${(V)4}
		failed=1
	fi
}

# await PATTERN: reads the output of the shell until it matches, for at most a minute.
await() {
	local more
	integer begun=$SECONDS
	while [[ $seen != $~1 ]] && (( SECONDS < begun + 60 )); do
		if zpty -rt shell more; then seen+=$more; else sleep 0.1; fi
	done
}

# typed SHELL SETTING WORDS EXPECTED: starts a new shell, because the first use is tested.
typed() {
	local seen=
	# If the terminal does not echo, readline does not echo either.
	zpty -e shell TERM=dumb $=1
	await '*[#%$] *'
	zpty -w shell "$2; echo se''t"
	# The prompt that follows shows that the line editor is running.
	await '*[[:space:]]set[[:space:]]*[#%$] *'
	seen=
	zpty -wn shell $3$'\t'
	await "*$4*"
	check $1 "$3" "$4" "$seen"
	zpty -d shell
}

for words expected in \
	'knetstat --verb' 'knetstat --verbose' \
	'knetstat -t --no-h' 'knetstat -t --no-header' \
	'knetstat expl' 'knetstat explain' \
	'knetstat explain TCP_NOD' 'knetstat explain TCP_NODELAY' \
	'knetstat explain tcp_user_t' 'knetstat explain tcp_user_timeout' \
	'knetstat state estab' 'knetstat state established' \
	'knetstat -tan TCP_USER_T' 'knetstat -tan TCP_USER_TIMEOUT'
do
	typed 'bash --norc -i' '. /usr/share/bash-completion/bash_completion' $words $expected
	typed 'zsh -f -i' 'autoload -Uz compinit && compinit -u -D' $words $expected
	# fish has a command that prints the candidates.
	check fish "$words" "${expected##* }" "$(fish -c "complete -C '$words'")"
done
exit $failed
