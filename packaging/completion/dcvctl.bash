# Completion of dcvctl's command line for bash. The words come from dcvctl's own tables.

# _dcvctl_words COMMAND: what may follow it; fails where there is no such command.
_dcvctl_words()
{
	case $1 in
@COMPLETION@
	*) return 1 ;;
	esac
}

_dcvctl()
{
	local command='' i
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ -n ${COMP_WORDS[i]} ]] && _dcvctl_words "${COMP_WORDS[i]}" >/dev/null; then
			command=${COMP_WORDS[i]}
			break
		fi
	done
	mapfile -t COMPREPLY < <(compgen -W "$(_dcvctl_words "$command")" -- "${COMP_WORDS[COMP_CWORD]}")
}

# Where no word fits, a file may be meant.
complete -o default -F _dcvctl dcvctl
