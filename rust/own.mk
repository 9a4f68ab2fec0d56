# SPDX-License-Identifier: GPL-2.0
#
# Builds the module's Rust without a kernel that has Rust; see README.md. Included by Kbuild.

RUSTC ?= rustc
# Where `core` is: the package rust-src, or rustup's component of that name. Ubuntu's packages have
# it in /usr/src. As in scripts/lib.sh.
own_version := $(shell $(RUSTC) --version)
own_core_sources := $(shell $(RUSTC) --print sysroot)/lib/rustlib/src/rust/library \
	/usr/src/rustc-$(word 2,$(own_version))/library
RUST_LIB_SRC ?= $(firstword $(wildcard $(own_core_sources)))

own_config = $(if $(filter y,$(foreach option,$(1),$(CONFIG_$(option)))),$(2))
# The release of rustc, as 10850 for 1.85, and whether it is at least so much.
own_rustc := $(shell echo '$(own_version)' | sed -E 's/^rustc ([0-9]+)\.([0-9]+)\..*/\1 \2/' | awk '{ print $$1 * 10000 + $$2 }')
own_rustc_from = $(shell [ $(own_rustc) -ge $(1) ] && echo y)

own_flags := -Cpanic=abort -Cembed-bitcode=n -Clto=n -Cforce-unwind-tables=n -Ccodegen-units=1 \
	-Csymbol-mangling-version=v0 -Zfunction-sections=y -Copt-level=2 -Cdebug-assertions=n \
	-Coverflow-checks=y --sysroot=/dev/null -Zunstable-options -Astable_features \
	-Crelocation-model=static
# Or else the compiler uses that register for anything, and the kernel's backtraces end there.
own_flags += $(call own_config,FRAME_POINTER,-Cforce-frame-pointers=y)
# A kernel with KASAN sees what this code reads and writes as well, by scripts/Makefile.kasan, in
# calls. Not what it reads of its own statics, as these would have to be registered.
own_kasan := -Zsanitizer=kernel-address -Zsanitizer-recover=kernel-address $(addprefix -Cllvm-args=-asan-, \
	mapping-offset=$(CONFIG_KASAN_SHADOW_OFFSET) instrumentation-with-call-threshold=0 globals=0 constructor-kind=none \
	stack=$(if $(CONFIG_KASAN_STACK),1,0) kernel-mem-intrinsic-prefix=1)
own_flags += $(call own_config,KASAN_GENERIC,$(own_kasan))
# A release is what its features are in: no channel may refuse them. The other is read by nothing,
# but makes each command another one when the compiler is: crates of two do not go together.
own_env := RUSTC_BOOTSTRAP=1 KNETSTAT_RUSTC='$(own_version)'

# Features of LLVM that rustc takes from the description of a target without a warning.
own_features :=

ifdef CONFIG_X86_64
own_target := x86_64-unknown-none
# Without -Zplt=yes, calls of C functions go through a GOT, which the module loader does not know.
own_flags += -Cno-redzone=y -Ccode-model=kernel -Zplt=yes \
	$(if $(call own_rustc_from,10093),-Cjump-tables=n,-Zno-jump-tables)
own_flags += $(call own_config,X86_KERNEL_IBT,-Zcf-protection=branch)
# Before 6.9, the options had no MITIGATION_ in their names.
own_flags += $(call own_config,MITIGATION_RETHUNK RETHUNK,-Zfunction-return=thunk-extern)
own_padding := $(CONFIG_FUNCTION_PADDING_BYTES)$(knetstat_comma)$(CONFIG_FUNCTION_PADDING_BYTES)
own_flags += $(call own_config,CALL_PADDING,-Zpatchable-function-entry=$(own_padding))
own_features += $(call own_config,MITIGATION_RETPOLINE RETPOLINE,retpoline-external-thunk retpoline-indirect-branches retpoline-indirect-calls)
own_features += $(call own_config,MITIGATION_SLS SLS,harden-sls-ijmp harden-sls-ret)
endif
ifdef CONFIG_ARM64
own_target := aarch64-unknown-none-softfloat
own_flags += $(call own_config,ARM64_PTR_AUTH_KERNEL,-Zbranch-protection=$(call own_config,ARM64_BTI_KERNEL,bti$(knetstat_comma))pac-ret)
# The register is the kernel's, for the stack of return addresses that its C code has besides.
own_flags += $(call own_config,SHADOW_CALL_STACK,-Zfixed-x18)
endif
own_flags += --target $(obj)/rust/target.json

# The compiler's own description of the target, with these features.
quiet_cmd_own_target = GEN     $(quiet_modtag) $@
      cmd_own_target = $(own_env) $(RUSTC) -Zunstable-options --print target-spec-json --target $(own_target) > $@.tmp && \
	sed -e '/"is-builtin"/d' \
		-e 's/"features": "/&$(subst $(space),,$(addsuffix $(knetstat_comma),$(addprefix +,$(own_features))))/' $@.tmp > $@ && \
	rm $@.tmp

$(obj)/rust/target.json: FORCE
	$(call if_changed,own_target)

own_library = $(own_env) $(RUSTC) $(own_flags) $(own_crate_flags) --crate-type rlib -L $(obj)/rust \
	--crate-name $(patsubst %.o,%,$(notdir $@)) --emit=dep-info=$(depfile),obj=$@ \
	--emit=metadata=$(obj)/rust/lib$(patsubst %.o,%,$(notdir $@)).rmeta

quiet_cmd_own_library = RUSTC   $(quiet_modtag) $@
      cmd_own_library = $(own_library) $<

quiet_cmd_own_module = RUSTC   $(quiet_modtag) $@
      cmd_own_module = $(own_env) $(RUSTC) $(own_flags) --edition=2021 @$(objtree)/include/generated/rustc_cfg \
	$(rustflags-y) -Zcrate-attr=no_std '-Zcrate-attr=feature(used_with_arg)' --extern kernel -L $(obj)/rust --crate-type rlib --crate-name knetstat \
	--emit=dep-info=$(depfile),obj=$@ $<

# No name is global but those that glue.c calls: kernels with Rust export parts of `core` as well.
# Names that only what was left out needs would be undefined again after that, so they go.
own_names := -w --keep-global-symbol='knetstat_glue_*' --strip-unneeded-symbol='[a-z_]*' \
	--keep-symbol='_R*' --keep-symbol=rust_begin_unwind --keep-symbol='knetstat_glue_*'
quiet_cmd_own_link = LD      $(quiet_modtag) $@
      cmd_own_link = $(LD) $(KBUILD_LDFLAGS) -r --gc-sections -e knetstat_glue_init -u knetstat_glue_exit \
	-T $(src)/rust/module.lds -o $@ $(filter %.o,$^); $(OBJCOPY) $(own_names) $@ $(cmd_objtool)

$(obj)/rust/compiler_builtins.o: own_crate_flags := --edition=2021
$(obj)/rust/compiler_builtins.o: $(src)/rust/compiler_builtins.rs $(obj)/rust/core.o FORCE
	+$(call if_changed_dep,own_library)

# From 1.87 on, `core` is of the edition 2024.
$(obj)/rust/core.o: own_crate_flags := --cfg no_fp_fmt_parse --cap-lints=allow \
	--edition=$(if $(call own_rustc_from,10087),2024,2021)
$(obj)/rust/core.o: $(RUST_LIB_SRC)/core/src/lib.rs $(obj)/rust/target.json FORCE
	+$(call if_changed_dep,own_library)

$(obj)/rust/kernel.o: own_crate_flags := --edition=2021
$(obj)/rust/kernel.o: $(src)/rust/kernel/lib.rs $(obj)/rust/core.o $(obj)/rust/compiler_builtins.o FORCE
	+$(call if_changed_dep,own_library)

$(obj)/rust/ours.o: $(src)/knetstat.rs $(obj)/rust/kernel.o $(obj)/bindings/layout.rs FORCE
	+$(call if_changed_dep,own_module)

$(obj)/rust/knetstat.o: $(obj)/rust/ours.o $(obj)/rust/kernel.o $(obj)/rust/core.o $(src)/rust/module.lds FORCE
	$(call if_changed,own_link)

targets += $(addprefix rust/,target.json compiler_builtins.o core.o kernel.o ours.o knetstat.o)
clean-files += $(addprefix rust/,libcore.rmeta libcompiler_builtins.rmeta libkernel.rmeta)
