// Package selection has the flags that say which flows are meant: those of `hubble observe`, which become filters of Hubble's API.
//
// Filter flags follow Hubble, also where that surprises: a flag for either side (--pod) together with another one (--port) asks for
// flows from that pod and port, or to that pod and port; --not negates the one filter after it. Two things are added: verdict DENIED, which
// is dropped for a reason of a policy, and names of virtual machines where those of pods are asked for.
//
// Invariant: what makes no sense is an error, and never a filter that lets more pass.
//
//	flags := &selection.Flags{}
//	flags.Register(command)
//	include, exclude, err := flags.Filters()
package selection
