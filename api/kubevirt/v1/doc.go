// Package v1 holds of the Kubernetes objects of API version kubevirt.io/v1 what
// Weftnet reads: virtual machines, and the instances of them that run.
//
// The world modelled: a VirtualMachine is the machine, on or off. While it is on
// there is a VirtualMachineInstance of its name, which KubeVirt makes of the
// machine's template, and for that a pod named virt-launcher-NAME-xxxxx, in
// which the guest runs. Each network of the instance that is not the pod's
// own is a NIC of that pod, named by a hash of the network's name.
//
// Invariant: an object is only read. Fields that are not here are KubeVirt's
// business, and its CRDs come with it.
//
// Example:
//
//	apiVersion: kubevirt.io/v1
//	kind: VirtualMachine
//	metadata: {name: db, namespace: shop}
//	spec:
//	  template:
//	    metadata: {labels: {app: db}}
//	    spec:
//	      domain: {devices: {interfaces: [{name: storage, bridge: {}, macAddress: "02:00:00:00:00:01"}]}}
//	      networks: [{name: storage, multus: {networkName: storage-net}}]
//
// Source: KubeVirt 1.8, staging/src/kubevirt.io/api/core/v1/types.go and
// schema.go.
//
// +kubebuilder:object:generate=true
// +groupName=kubevirt.io
package v1
