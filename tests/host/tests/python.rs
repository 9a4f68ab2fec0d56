// SPDX-License-Identifier: GPL-2.0

//! The Python programs define each function and class once: the later of two definitions with one name
//! replaces the earlier, whose callers then do nothing or fail.

use std::env;
use std::path::Path;
use std::process::Command;

/// Prints the definitions whose name the same block has already.
const TWICE: &str = r#"
import ast, sys
kinds = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
for path in sys.argv[1:]:
    for node in ast.walk(ast.parse(open(path).read(), path)):
        body = getattr(node, "body", [])
        seen = set()
        for one in body if isinstance(body, list) else []:
            if isinstance(one, kinds):
                if one.name in seen:
                    print(f"{path}:{one.lineno}: {one.name} is defined twice")
                seen.add(one.name)
    print("read", path)
"#;

#[test]
fn no_name_is_defined_twice() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let programs = ["tools/knetstat/tests/against_ss.py", "vm/containers-guest"];
    let output = Command::new("python3")
        .args(["-c", TWICE])
        .args(programs)
        .current_dir(project)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(err) => {
            let needed = env::var_os("KNETSTAT_NEED_TOOLS").is_some();
            assert!(!needed, "python3: {err}");
            eprintln!("skipped: python3: {err}");
            return;
        }
    };
    let expected: String = programs.map(|path| format!("read {path}\n")).concat();
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert!(output.status.success(), "{output:?}");
}
