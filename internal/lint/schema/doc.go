// Package schema holds policy objects against what the API server asks of them, field by field, and guesses what was
// meant where they differ.
//
// # The world it models
//
// The API server knows which fields an object has and of which type they are. kubectl refuses what it does not know; with
// other clients the server drops it without a word, and what is left means something else. The schemas are those of the
// CRDs that the chart installs, and of the Go types of NetworkPolicy. A field that is not there was meant to be
// something, and there are few ways to get it wrong:
//
//	matchLabel                             misspelled: matchLabels
//	fromEndpoints[0].toPorts               one level too deep: toPorts of spec.ingress[0]
//	toPorts[0].http                        one level too high: toPorts[0].rules.http
//	fromEndpoints[0].app: web              a label without its matchLabels
//	podSelector                            a word of the other language
//
// # Invariants
//
//   - A field has at most one violation, and below a field that is not known nothing is looked at.
//   - Check is pure, and panics for no text.
//
// # Example
//
//	for _, v := range schema.Check("CiliumNetworkPolicy", json) {
//		fmt.Println(v.Field, v.Does, v.Meant, v.Fix)
//	}
package schema
