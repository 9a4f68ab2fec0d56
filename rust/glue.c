// SPDX-License-Identifier: GPL-2.0
/* The C side of kernel/lib.rs: the module's entry and exit, and the log. */

#include <linux/bug.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>

int knetstat_glue_init(void);
void knetstat_glue_exit(void);
void knetstat_glue_printk(int level, const char *text, size_t length);
void knetstat_glue_bug(void);

static int __init glue_init(void)
{
	return knetstat_glue_init();
}
module_init(glue_init);

static void __exit glue_exit(void)
{
	knetstat_glue_exit();
}
module_exit(glue_exit);

void knetstat_glue_printk(int level, const char *text, size_t length)
{
	if (level <= LOGLEVEL_ERR)
		printk(KERN_ERR "%.*s", (int)length, text);
	else
		printk(KERN_INFO "%.*s", (int)length, text);
}

void knetstat_glue_bug(void)
{
	BUG();
}
