# SPDX-License-Identifier: GPL-2.0
#
# Builds the Rust code of the module without the kernel's Rust; see README.md. Included by Kbuild.

RUSTC ?= rustc
# The sources of `core`, from the package rust-src or rustup's component of that name. rustc does not
# find those of Ubuntu's packages, which are in /usr/src. scripts/lib.sh looks in the same places.
standalone_version := $(shell $(RUSTC) --version)
standalone_core_sources := $(shell $(RUSTC) --print sysroot)/lib/rustlib/src/rust/library \
	/usr/src/rustc-$(word 2,$(standalone_version))/library
RUST_LIB_SRC ?= $(firstword $(wildcard $(standalone_core_sources)))

standalone_config = $(if $(filter y,$(foreach option,$(1),$(CONFIG_$(option)))),$(2))
# The version of rustc, 10085 for 1.85, and whether it is at least $(1).
standalone_rustc := $(shell echo '$(standalone_version)' | sed -E 's/^rustc ([0-9]+)\.([0-9]+)\..*/\1 \2/' | awk '{ print $$1 * 10000 + $$2 }')
standalone_rustc_from = $(shell [ $(standalone_rustc) -ge $(1) ] && echo y)

standalone_flags := -Cpanic=abort -Cembed-bitcode=n -Clto=n -Cforce-unwind-tables=n -Ccodegen-units=1 \
	-Csymbol-mangling-version=v0 -Zfunction-sections=y -Copt-level=2 -Cdebug-assertions=n \
	-Coverflow-checks=y --sysroot=/dev/null -Zunstable-options -Astable_features \
	-Crelocation-model=static
# Without frame pointers, the kernel's backtraces would end in this code.
standalone_flags += $(call standalone_config,FRAME_POINTER,-Cforce-frame-pointers=y)
# With KASAN, this code checks each access by a call, with the flags of scripts/Makefile.kasan. Accesses
# to its own statics are not checked, because these would have to be registered.
standalone_kasan := -Zsanitizer=kernel-address -Zsanitizer-recover=kernel-address $(addprefix -Cllvm-args=-asan-, \
	mapping-offset=$(CONFIG_KASAN_SHADOW_OFFSET) instrumentation-with-call-threshold=0 globals=0 constructor-kind=none \
	stack=$(if $(CONFIG_KASAN_STACK),1,0) kernel-mem-intrinsic-prefix=1)
standalone_flags += $(call standalone_config,KASAN_GENERIC,$(standalone_kasan))
# RUSTC_BOOTSTRAP=1 lets a stable rustc use unstable features, as the kernel does. Nothing reads
# KNETSTAT_RUSTC: it changes each command, and so rebuilds all crates, if rustc changes.
standalone_env := RUSTC_BOOTSTRAP=1 KNETSTAT_RUSTC='$(standalone_version)'

# LLVM features, which go into the target's description: rustc warns of them on the command line.
standalone_features :=

ifdef CONFIG_X86_64
standalone_target := x86_64-unknown-none
# Without -Zplt=yes, calls of C functions go through a GOT, which the module loader does not support.
standalone_flags += -Cno-redzone=y -Ccode-model=kernel -Zplt=yes \
	$(if $(call standalone_rustc_from,10093),-Cjump-tables=n,-Zno-jump-tables)
standalone_flags += $(call standalone_config,X86_KERNEL_IBT,-Zcf-protection=branch)
# Before 6.9, the options had no MITIGATION_ in their names.
standalone_flags += $(call standalone_config,MITIGATION_RETHUNK RETHUNK,-Zfunction-return=thunk-extern)
standalone_padding := $(CONFIG_FUNCTION_PADDING_BYTES)$(knetstat_comma)$(CONFIG_FUNCTION_PADDING_BYTES)
standalone_flags += $(call standalone_config,CALL_PADDING,-Zpatchable-function-entry=$(standalone_padding))
standalone_features += $(call standalone_config,MITIGATION_RETPOLINE RETPOLINE,retpoline-external-thunk retpoline-indirect-branches retpoline-indirect-calls)
standalone_features += $(call standalone_config,MITIGATION_SLS SLS,harden-sls-ijmp harden-sls-ret)
endif
ifdef CONFIG_ARM64
standalone_target := aarch64-unknown-none-softfloat
standalone_flags += $(call standalone_config,ARM64_PTR_AUTH_KERNEL,-Zbranch-protection=$(call standalone_config,ARM64_BTI_KERNEL,bti$(knetstat_comma))pac-ret)
# The kernel's C code keeps the pointer to its shadow call stack in x18.
standalone_flags += $(call standalone_config,SHADOW_CALL_STACK,-Zfixed-x18)
endif
ifdef CONFIG_ARCH_RV64I
# Its code model is medany, and its ABI lp64, without registers for floating point.
standalone_target := riscv64imac-unknown-none-elf
standalone_flags += $(if $(CONFIG_RISCV_ISA_C),,-Ctarget-feature=-c)
endif
standalone_flags += --target $(obj)/rust/target.json

# rustc's description of the target, with these features.
quiet_cmd_standalone_target = GEN     $(quiet_modtag) $@
      cmd_standalone_target = $(standalone_env) $(RUSTC) -Zunstable-options --print target-spec-json --target $(standalone_target) > $@.tmp && \
	sed -e '/"is-builtin"/d' \
		-e 's/"features": "/&$(subst $(space),,$(addsuffix $(knetstat_comma),$(addprefix +,$(standalone_features))))/' $@.tmp > $@ && \
	rm $@.tmp

$(obj)/rust/target.json: FORCE
	$(call if_changed,standalone_target)

standalone_library = $(standalone_env) $(RUSTC) $(standalone_flags) $(standalone_crate_flags) --crate-type rlib -L $(obj)/rust \
	--crate-name $(patsubst %.o,%,$(notdir $@)) --emit=dep-info=$(depfile),obj=$@ \
	--emit=metadata=$(obj)/rust/lib$(patsubst %.o,%,$(notdir $@)).rmeta

quiet_cmd_standalone_library = RUSTC   $(quiet_modtag) $@
      cmd_standalone_library = $(standalone_library) $<

# The kernel's configuration for cfg(CONFIG_NAME). Kernels before 6.1 do not write this file, so it is made
# in the same way: see scripts/kconfig/confdata.c. Kbuild says what KNETSTAT_KERNEL is for.
standalone_cfg := $(wildcard $(objtree)/include/generated/rustc_cfg)
ifeq ($(standalone_cfg),)
standalone_cfg := $(obj)/rust/rustc_cfg
endif
quiet_cmd_standalone_cfg = GEN     $(quiet_modtag) $@
      cmd_standalone_cfg = KNETSTAT_KERNEL=$(knetstat_kernel) sed -n 's/^\(CONFIG_[A-Za-z0-9_]*\)=[ym]$$/--cfg=\1/p' $< > $@

$(obj)/rust/rustc_cfg: $(objtree)/include/config/auto.conf FORCE
	$(call if_changed,standalone_cfg)

quiet_cmd_standalone_module = RUSTC   $(quiet_modtag) $@
      cmd_standalone_module = $(standalone_env) $(RUSTC) $(standalone_flags) --edition=2021 @$(standalone_cfg) \
	$(rustflags-y) -Zcrate-attr=no_std '-Zcrate-attr=feature(used_with_arg)' --extern kernel -L $(obj)/rust --crate-type rlib --crate-name knetstat \
	--emit=dep-info=$(depfile),obj=$@ $<

# Only the names that glue.c calls stay global, because kernels with Rust export parts of `core` too.
# Undefined names that only discarded sections used are removed.
standalone_names := -w --keep-global-symbol='knetstat_glue_*' --strip-unneeded-symbol='[a-z_]*' \
	--keep-symbol='_R*' --keep-symbol=rust_begin_unwind --keep-symbol='knetstat_glue_*'
# In old kernels, such as 5.10, cmd_objtool does not begin with what joins it to another command.
standalone_objtool = $(if $(findstring ;,$(cmd_objtool)),,$(if $(strip $(cmd_objtool)),;)) $(cmd_objtool)
quiet_cmd_standalone_link = LD      $(quiet_modtag) $@
      cmd_standalone_link = $(LD) $(KBUILD_LDFLAGS) -r --gc-sections -e knetstat_glue_init -u knetstat_glue_exit \
	-T $(src)/rust/module.lds -o $@ $(filter %.o,$^); $(OBJCOPY) $(standalone_names) $@ $(standalone_objtool)

$(obj)/rust/compiler_builtins.o: standalone_crate_flags := --edition=2021
$(obj)/rust/compiler_builtins.o: $(src)/rust/compiler_builtins.rs $(obj)/rust/core.o FORCE
	+$(call if_changed_dep,standalone_library)

# From 1.87 on, `core` uses the 2024 edition.
$(obj)/rust/core.o: standalone_crate_flags := --cfg no_fp_fmt_parse --cap-lints=allow \
	--edition=$(if $(call standalone_rustc_from,10087),2024,2021)
$(obj)/rust/core.o: $(RUST_LIB_SRC)/core/src/lib.rs $(obj)/rust/target.json FORCE
	+$(call if_changed_dep,standalone_library)

$(obj)/rust/kernel.o: standalone_crate_flags := --edition=2021
$(obj)/rust/kernel.o: $(src)/rust/kernel/lib.rs $(obj)/rust/core.o $(obj)/rust/compiler_builtins.o FORCE
	+$(call if_changed_dep,standalone_library)

$(obj)/rust/module.o: $(src)/knetstat.rs $(obj)/rust/kernel.o $(obj)/bindings/layout.rs $(standalone_cfg) FORCE
	+$(call if_changed_dep,standalone_module)

$(obj)/rust/knetstat.o: $(obj)/rust/module.o $(obj)/rust/kernel.o $(obj)/rust/core.o $(src)/rust/module.lds FORCE
	$(call if_changed,standalone_link)

targets += $(addprefix rust/,target.json rustc_cfg compiler_builtins.o core.o kernel.o module.o knetstat.o)
clean-files += $(addprefix rust/,libcore.rmeta libcompiler_builtins.rmeta libkernel.rmeta)
