//! The names of fields of a schema, and nothing else of it.
//!
//! In: a JSON schema, of a custom resource definition or of a type. Out: a graph of names, small enough to keep.
//! Never: types of scalars, limits or descriptions.

use std::collections::BTreeMap;

use serde_json::Value;

/// How far below the same name is looked for.
const DEPTH: usize = 4;

/// What a value may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Anything, or a scalar.
    Any,
    /// These fields and no others.
    Fields(BTreeMap<Box<str>, usize>),
    /// Keys of the user's own.
    Map(usize),
    /// Items.
    List(usize),
}

impl Shape {
    /// What the field of that name may hold, where there is such a field.
    pub fn field(&self, name: &str) -> Option<usize> {
        let Self::Fields(fields) = self else { return None };
        fields.get(name).copied()
    }

    /// The names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let fields = if let Self::Fields(fields) = self { Some(fields) } else { None };
        fields.into_iter().flatten().map(|(name, _)| name.as_ref())
    }
}

/// All shapes of a schema, the first is that of the whole.
#[derive(Debug)]
pub struct Shapes {
    all: Vec<Shape>,
    any: Shape,
}

impl Shapes {
    /// Reads a schema and what it refers to in its own `$defs`.
    pub fn of(schema: &Value) -> Self {
        let mut reader = Reader { root: schema, all: Vec::new(), named: BTreeMap::new() };
        reader.read(schema);
        Self { all: reader.all, any: Shape::Any }
    }

    /// The same with more fields of the whole, which may hold anything.
    #[must_use]
    pub fn with(mut self, names: &[&str]) -> Self {
        let any = self.all.len();
        if let Some(Shape::Fields(fields)) = self.all.first_mut() {
            fields.extend(names.iter().map(|name| ((*name).into(), any)));
        }
        self
    }

    /// The shape of the whole.
    pub fn root(&self) -> &Shape {
        self.get(0)
    }

    /// The shape of that number.
    pub fn get(&self, number: usize) -> &Shape {
        self.all.get(number).unwrap_or(&self.any)
    }

    /// The path from a shape to the one field of that name below it that is nearest; none where two are as near.
    pub fn path_to(&self, from: &Shape, name: &str) -> Option<String> {
        let mut level = vec![(String::new(), from)];
        for _ in 0..DEPTH {
            let below = level.iter().flat_map(|(path, shape)| self.below(path, shape));
            level = below.collect();
            let found: Vec<_> =
                level.iter().filter_map(|(path, shape)| Some((path, shape.field(name)?))).collect();
            match found.as_slice() {
                [] => {}
                [(path, _)] => return Some(format!("{path}.{name}")),
                _ => return None,
            }
        }
        None
    }

    /// Only fields lead on: which item or key is meant, nobody knows.
    fn below(&self, path: &str, shape: &Shape) -> Vec<(String, &Shape)> {
        let Shape::Fields(fields) = shape else { return Vec::new() };
        let dot = if path.is_empty() { "" } else { "." };
        fields.iter().map(|(name, next)| (format!("{path}{dot}{name}"), self.get(*next))).collect()
    }
}

struct Reader<'a> {
    root: &'a Value,
    all: Vec<Shape>,
    named: BTreeMap<&'a str, usize>,
}

impl<'a> Reader<'a> {
    fn read(&mut self, schema: &'a Value) -> usize {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            return self.definition(name);
        }
        let number = self.place();
        self.fill(number, schema);
        number
    }

    /// Its number is known before it is read: definitions refer to themselves.
    fn definition(&mut self, name: &'a str) -> usize {
        if let Some(known) = self.named.get(name) {
            return *known;
        }
        let number = self.place();
        self.named.insert(name, number);
        let schema = name.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        if let Some(schema) = schema {
            self.fill(number, schema);
        }
        number
    }

    fn place(&mut self) -> usize {
        self.all.push(Shape::Any);
        self.all.len() - 1
    }

    fn fill(&mut self, number: usize, schema: &'a Value) {
        let shape = self.shape(schema);
        if let Some(place) = self.all.get_mut(number) {
            *place = shape;
        }
    }

    fn shape(&mut self, schema: &'a Value) -> Shape {
        let open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let fields = properties.iter().map(|(name, field)| (name.as_str().into(), self.read(field)));
            let fields = fields.collect();
            return if open { Shape::Any } else { Shape::Fields(fields) };
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            return Shape::Map(self.read(values));
        }
        if let Some(items) = schema.get("items") {
            return Shape::List(self.read(items));
        }
        // An optional type is one of itself and null.
        let one = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        let mut one = one.filter(|of| of.get("$ref").is_some());
        match (one.next(), one.next()) {
            (Some(of), None) => {
                let number = self.read(of);
                self.all.get(number).cloned().unwrap_or(Shape::Any)
            }
            _ => Shape::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_becomes_its_names() {
        let shapes = Shapes::of(&json!({
            "properties": {
                "tree": { "$ref": "#/$defs/Tree" },
                "open": { "properties": { "x": {} }, "x-kubernetes-preserve-unknown-fields": true },
                "map": { "additionalProperties": { "type": "string" } },
            },
            "$defs": { "Tree": { "properties": { "children": { "items": { "$ref": "#/$defs/Tree" } } } } },
        }));
        let root = shapes.root();
        assert_eq!(root.names().collect::<Vec<_>>(), ["map", "open", "tree"]);
        let tree = shapes.get(root.field("tree").unwrap());
        let Shape::List(items) = shapes.get(tree.field("children").unwrap()) else { panic!("{shapes:?}") };
        assert_eq!(shapes.get(*items), tree);
        assert_eq!(shapes.get(root.field("open").unwrap()), &Shape::Any);
        assert!(matches!(shapes.get(root.field("map").unwrap()), Shape::Map(_)));
    }
}
