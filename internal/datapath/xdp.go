package datapath

import "weftnet.io/weftnet/internal/datapath/xdp"

// XDP is where program xdp is on devices.
func (d *Datapath) XDP() xdp.At {
	return xdp.At{Dir: d.dir + "/" + linkDir, Pairs: d.maps["pairs"]}
}

// AttachXDP puts program xdp on a device.
func (d *Datapath) AttachXDP(ifindex int, generic bool) error {
	d.swap.RLock() // see Attach
	defer d.swap.RUnlock()
	return d.XDP().Attach(d.programs["xdp"], ifindex, generic)
}
