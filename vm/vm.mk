# SPDX-License-Identifier: GPL-2.0
#
# The targets for guests. Each makes first what is missing.

KERNEL ?= uml
# The guest that the user named, if any.
named = $(if $(filter-out file default,$(origin KERNEL)),'$(KERNEL)')

.PHONY: vm shell guests vm-setup vm-clean

# make vm CMD='...' [KERNEL=NAME] [TIMEOUT=S]
# If the command fails, make fails and prints its status. sshd runs, as on most machines, so that the files
# have rows.
vm: export KNETSTAT_CMD = $(value CMD)
vm:
	@if [ -z "$$KNETSTAT_CMD" ]; then \
		echo "knetstat: CMD is missing; for example: make vm CMD='cat /proc/net/tcpstat' KERNEL=uml" >&2; exit 2; \
	fi; \
	vm/run.sh --sshd $(if $(TIMEOUT),--timeout '$(TIMEOUT)') '$(KERNEL)' "$$KNETSTAT_CMD"

shell:
	@vm/run.sh --sshd --shell '$(KERNEL)'

guests:
	@vm/guests.sh

# Makes the guests of `make test`, or one: make vm-setup KERNEL=NAME
vm-setup:
	@vm/setup.sh $(named)

vm-clean:
	@vm/setup.sh --clean
