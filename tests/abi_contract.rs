//! The generated header compiles everywhere, and is source-compatible with the contract `tests/c/contract.h`: the same
//! names, types, orders and numbers.

#[path = "common/c.rs"]
mod c;

/// The contract without its include guard, and its structs apart: (name, text with body).
fn contract() -> (String, Vec<(String, String)>) {
    let path = c::root().join("tests/c/contract.h");
    let text = strip_comments(&std::fs::read_to_string(path).expect("the contract"));
    let mut rest = text.as_str();
    let (mut plain, mut structs) = (String::new(), Vec::new());
    while let Some(at) = rest.find("typedef struct ") {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let end = from.find(';').expect("the end of a typedef");
        match from[..end].find('{') {
            None => {
                plain.push_str(&from[..=end]);
                rest = &from[end + 1..];
            }
            Some(_) => {
                let body_end = from.find('}').expect("the end of a struct");
                let end = body_end + from[body_end..].find(';').expect("the end of a typedef");
                let name = from[body_end + 1..end].trim().to_owned();
                structs.push((name, from[..=end].to_owned()));
                rest = &from[end + 1..];
            }
        }
    }
    plain.push_str(rest);
    (plain, structs)
}

fn strip_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("/*") {
        out.push_str(&rest[..at]);
        let end = rest[at..].find("*/").expect("the end of a comment");
        rest = &rest[at + end + 2..];
    }
    out.push_str(rest);
    out
}

/// The names of the fields of a struct's text.
fn fields(text: &str) -> Vec<String> {
    let body = &text[text.find('{').expect("a body") + 1..text.find('}').expect("its end")];
    body.split([';', ','])
        .filter_map(|field| {
            let field = field.split('[').next()?.trim();
            let name = field.rsplit([' ', '*']).next()?.trim();
            (!name.is_empty()).then(|| name.to_owned())
        })
        .collect()
}

/// C that compiles only where the header agrees with these declarations and structs: C allows a macro, a typedef and a
/// function to be declared again only as they are.
fn agreement(plain: &str, structs: &[(String, String)]) -> String {
    let mut text = format!("#include \"corertc.h\"\n#undef CORERTC_H\n{plain}\n");
    for (name, body) in structs {
        text.push_str(&body.replace(name, &format!("contract_{name}")));
        text.push_str(&format!(
            "\n_Static_assert(sizeof({name}) == sizeof(contract_{name}), \"{name}\");\n"
        ));
        for field in fields(body) {
            text.push_str(&format!(
                "_Static_assert(offsetof({name}, {field}) == offsetof(contract_{name}, {field}), \"{name}.{field}\");\n\
                 _Static_assert(__builtin_types_compatible_p(__typeof__((({name} *)0)->{field}), \
                 __typeof__(((contract_{name} *)0)->{field})), \"{name}.{field}\");\n"
            ));
        }
    }
    text
}

#[test]
fn the_header_agrees_with_the_contract() {
    let (plain, structs) = contract();
    let names: Vec<&str> = structs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "corertc_error",
            "corertc_leg",
            "corertc_hooks",
            "corertc_auth_request",
            "corertc_stats"
        ]
    );
    assert_eq!(fields(&structs[0].1), ["size", "code", "message"]);
    assert_eq!(fields(&structs[4].1).len(), 25);
    c::compile("gcc", "gnu11", &agreement(&plain, &structs)).expect("agreement");
}

#[test]
fn a_header_that_disagrees_is_told() {
    let (plain, structs) = contract();
    for (old, new) in [
        ("uint16_t *bound_port", "uint32_t *bound_port"),
        ("CORERTC_E_PANIC       (-9)", "CORERTC_E_PANIC (-10)"),
        ("CORERTC_KIND_AV    3u", "CORERTC_KIND_AV 4u"),
        ("int32_t (*corertc_auth_fn)", "void (*corertc_auth_fn)"),
    ] {
        assert!(plain.contains(old), "{old}");
        let changed = plain.replacen(old, new, 1);
        assert!(
            c::compile("gcc", "gnu11", &agreement(&changed, &structs)).is_err(),
            "{old}"
        );
    }
    for (old, new) in [
        ("uint16_t reserved", "int16_t reserved"),
        ("streams, inputs", "inputs, streams"),
    ] {
        let changed: Vec<_> = structs
            .iter()
            .map(|(name, body)| (name.clone(), body.replacen(old, new, 1)))
            .collect();
        assert_ne!(changed, structs, "{old}");
        assert!(
            c::compile("gcc", "gnu11", &agreement(&plain, &changed)).is_err(),
            "{old}"
        );
    }
}

#[test]
fn the_header_compiles_alone_and_twice_in_every_language_it_serves() {
    let once = "#include \"corertc.h\"\nint used(void);\nint used(void) { return CORERTC_OK; }\n";
    let twice = format!("#include \"corertc.h\"\n{once}");
    let languages = [
        ("gcc", &["c89", "c99", "c11", "c17", "c2x"][..]),
        ("g++", &["c++11", "c++14", "c++17", "c++20"][..]),
    ];
    for (compiler, standards) in languages {
        for standard in standards {
            for text in [once, &twice] {
                if let Err(words) = c::compile(compiler, standard, text) {
                    panic!("{compiler} -std={standard}: {words}");
                }
            }
        }
    }
}

#[test]
fn the_error_is_256_bytes_and_no_field_is_named_type() {
    let text = "#include \"corertc.h\"\n_Static_assert(sizeof(corertc_error) == 256, \"size\");\n";
    c::compile("gcc", "c11", text).expect("256 bytes");
    let header = std::fs::read_to_string(c::root().join("include/corertc.h")).expect("header");
    for word in [" type;", " bool ", "enum ", "union "] {
        assert!(!strip_comments(&header).contains(word), "{word:?}");
    }
}
