// Package manifest reads Kubernetes objects from YAML or JSON text and remembers where everything stands in it.
//
// # The world it models
//
// A text is a list of documents between lines "---". A document is an object, or a List of objects (kubectl get -o yaml),
// or nothing but comments. What kubectl would send to the API server is the object's JSON; where a person looks for it is
// a line and a column:
//
//	o.JSON                                       {"apiVersion": "cilium.io/v2", …}
//	o.At("spec.ingress[0].toPorts[0]")           line 14, column 7
//	o.At("spec.ingress[0].toPorts[9].ports")     line 12, column 5: as deep as the text goes
//
// # Invariants
//
//   - A document that cannot be read is a Problem with its position; the others are read all the same.
//   - JSON is made by the library that kubectl uses, so that `yes`, `010` and `~` mean here what they mean there.
//   - Lines and columns begin at 1. Text without lines (JSON of one line) has columns only.
//   - No text makes a function here panic (FuzzRead).
//
// # Example
//
//	objects, problems := manifest.Read("policy.yaml", text)
//	for _, o := range objects {
//		fmt.Println(o.File, o.At("spec"), o.Kind, o.Namespace, o.Name)
//	}
package manifest
