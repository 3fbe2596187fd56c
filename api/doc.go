// Package api stands for the Kubernetes objects below it and generates what
// follows from their Go types: deep copies beside each type, and the CRDs with
// structural schemas in deploy/chart/crds. All of it is committed;
// "go generate ./api" changes nothing unless a type changed. The one CRD whose
// types are of another module, that of ClusterNetworkPolicy, is that module's.
//
// Protobuf files, for clients of the relay, lie there too: observer/v1.
//
// The generators have their own module files, tools/crdgen/go.mod and
// tools/protogen/go.mod, so that their dependencies never move those of the
// programs.
package api

//go:generate go tool -modfile=../tools/crdgen/go.mod controller-gen object paths=./cilium/... paths=./cncf/... paths=./kubevirt/... paths=./weftnet/... paths=./whereabouts/...
//go:generate go tool -modfile=../tools/crdgen/go.mod controller-gen crd:crdVersions=v1,generateEmbeddedObjectMeta=false paths=./cilium/... paths=./cncf/... paths=./weftnet/... output:crd:dir=../deploy/chart/crds
//go:generate sh -c "install -m 644 $(go list -m -f {{.Dir}} sigs.k8s.io/network-policy-api)/config/crd/experimental/policy.networking.k8s.io_clusternetworkpolicies.yaml ../deploy/chart/crds/"
//go:generate sh -c "go run -C ../tools/protogen . -root $PWD -import $(go list -m -f {{.Dir}} github.com/cilium/cilium)/api/v1"
