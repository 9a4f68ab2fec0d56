# SPDX-License-Identifier: GPL-2.0
#
# The guests. Each target makes first what is missing.

KERNEL ?= uml
# The guest that was named, if one was.
named = $(if $(filter-out file default,$(origin KERNEL)),'$(KERNEL)')

.PHONY: vm shell guests vm-setup vm-clean

# make vm CMD='...' [KERNEL=NAME] [TIMEOUT=S]
# A command that fails makes make fail, which says with what status. As on most machines, sshd
# runs, so that the files have rows.
vm: export KNETSTAT_CMD = $(value CMD)
vm:
	@if [ -z "$$KNETSTAT_CMD" ]; then \
		echo "knetstat: no command; for example: make vm CMD='cat /proc/net/tcpstat' KERNEL=uml" >&2; exit 2; \
	fi; \
	vm/run.sh --sshd $(if $(TIMEOUT),--timeout '$(TIMEOUT)') '$(KERNEL)' "$$KNETSTAT_CMD"

shell:
	@vm/run.sh --sshd --shell '$(KERNEL)'

guests:
	@vm/guests.sh

# What `make test` takes, or what is named: make vm-setup KERNEL=NAME
vm-setup:
	@vm/setup.sh $(named)

vm-clean:
	@vm/setup.sh --clean
