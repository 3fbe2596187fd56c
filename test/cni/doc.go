// Package cni runs the CNI project's own programs and library against weft-cni and cilium-cni, the way container runtimes do. It needs root.
//
// # The world it models
//
//	libcni, or cnitool -- exec, environment, standard input --> weft-cni (cilium-cni) --> agent of a node --> a container's network namespace
//
// libcni is what containerd and CRI-O link, with its cache of results; cnitool is the project's program for people; noop is the plugin that
// its own tests chain others with: it says what it was told, and answers what it is to. The two programs are built from the very version of the
// module that this one uses. The project has no suite of conformance: its plugins' tests are about each plugin from the inside. What they
// ask of every plugin, and what the specification demands (https://www.cni.dev/docs/spec/, 1.1.0), is asked here from the outside:
//
//	demand                                                                   test
//	VERSION tells all versions, whatever the call's own is                   TestVersion
//	ADD answers in the version that is asked, with an interface in the       TestEachVersionFromAddToDel
//	  sandbox, and addresses that point at it
//	CHECK after ADD succeeds; it fails for what is broken or unknown         TestEachVersionFromAddToDel, TestCheckFindsWhatIsBroken
//	DEL may be repeated, without a result, a namespace, or an ADD            TestEachVersionFromAddToDel, TestDelNeedsNothing
//	DEL of one interface leaves the container's others alone                 TestInterfacesOfAContainerAreApart
//	a failed call answers with an error object, its code and its version     TestErrorsAreObjects
//	prevResult of an earlier plugin is passed on; a later one gets ours      TestPluginsBeforeAndBehind
//	capabilities reach the plugin by runtimeConfig                           TestCapabilities
//	GC takes away what is not valid, and no more                             TestGC
//	STATUS says whether an ADD would be served, by code 50 if not            TestStatus
//	calls for several containers at a time do not disturb each other         TestManyAtOnce
//	cnitool add, check, status, gc and del do as its manual says             TestCnitool
package cni
