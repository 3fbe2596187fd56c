// Package filter decides which flows a client wants to see: Hubble's FlowFilter, compiled.
//
// A request has a list of filters to include and one to leave out. A flow is wanted if any of the first matches, or
// there is none, and none of the second does. A filter matches if each of its fields does; a field is a list of
// values, of which one is enough. Names of pods and services are prefixes within an optional namespace:
//
//	"web-"         pods of namespace default whose names begin with web-
//	"shop/web-"    the same in namespace shop
//	"shop/"        all pods of shop
//	"/web-"        the same in any namespace
//
// Labels are Kubernetes selectors whose keys may carry a source ("k8s:app in (web,api)", "reserved:host"); a key
// without one matches any source. Node names are patterns of "cluster/node" with *. What no field can say is a CEL
// expression over the flow, among it what Hubble's message has no field for:
//
//	_flow.extensions.close.sent.bytes > 1000000.0
//
// Invariant: nothing in a filter is ever ignored. A value that makes no sense and a field that this version does not
// know are errors that name the field.
//
//	want, err := filter.New(request.GetWhitelist(), request.GetBlacklist())
//	if want(f) { … }
package filter
