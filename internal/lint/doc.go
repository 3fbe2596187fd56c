// Package lint says of policy objects, before they reach a cluster, what is wrong with them and what they will not do
// though they seem to.
//
// # The world it models
//
// A person writes a policy and means something. Between the two lie a schema that drops what it does not know, two
// languages in which the same list means opposite things, selectors that never leave their namespace, and parts that are
// not enforced yet. For each such place there is a Finding: where, what it does, what was probably meant, and the one line
// that mends it. A finding is an
//
//	error     the API server or the reader of policies refuses the object, or drops a part of it
//	warning   it is taken, and does not do what it seems to
//	hint      it may be meant so; many who wrote this did not
//
// Each check is a small function of one object, or of all: table checks has them. Meanings are those of package language
// (what it rejects and notes is here too, word by word) and of the engine internal/policy; nothing is decided twice.
//
// # Invariants
//
//   - Pure: text and Options in, findings out, in the order of files and lines, whatever the order of the checks.
//   - No finding says that a selector finds nothing while no workloads are known.
//   - No object makes a function here panic (FuzzCheck).
//
// # Example
//
//	objects, problems := manifest.Read("deny.yaml", text)
//	for _, f := range lint.Check(objects, problems, lint.Options{}) {
//		fmt.Println(f)
//	}
//
//	deny.yaml:9:3: warning: cnp shop/deny spec.ingress: an empty list restricts nothing; to deny all, write ingress: [{}]
//	    meant: deny all ingress, as ingress: [] does in a NetworkPolicy
//	    fix:   ingress: [{}]
package lint
