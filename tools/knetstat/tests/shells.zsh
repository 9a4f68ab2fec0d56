#!/usr/bin/env zsh
# SPDX-License-Identifier: GPL-2.0
#
# Types the beginnings of words into the shells, as they are installed here with the command, and
# looks at what Tab makes of them. Takes bash-completion and fish.
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

# await PATTERN: reads what the shell prints until all of it matches, for a minute at most.
await() {
	local more
	integer begun=$SECONDS
	while [[ $seen != $~1 ]] && (( SECONDS < begun + 60 )); do
		if zpty -rt shell more; then seen+=$more; else sleep 0.1; fi
	done
}

# typed SHELL SETTING WORDS EXPECTED: a shell of its own for each, as the first use counts.
typed() {
	local seen=
	# Of a terminal without echo, readline thinks that it must not echo either.
	zpty -e shell TERM=dumb $=1
	await '*[#%$] *'
	zpty -w shell "$2; echo se''t"
	# And then its prompt: the editor of lines is there.
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
	# It has a command that says what Tab would.
	check fish "$words" "${expected##* }" "$(fish -c "complete -C '$words'")"
done
exit $failed
