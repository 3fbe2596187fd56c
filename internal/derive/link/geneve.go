package link

import (
	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// geneve is the overlay device for calls that go on by DSR, if they are to have one.
func geneve(c settings.Config, mtu int) []table.Tunnel {
	if !c.Outside.Overlay() {
		return nil
	}
	return []table.Tunnel{{Name: attach.GeneveDevice, Kind: "geneve", Port: attach.GenevePort, MTU: mtu}}
}

// Constants is the Source of what programs know of that device: variable geneve of bpf/lib/overlay.h. Where it cannot be made calls go on by
// SNAT.
func Constants(t *table.Tables) (string, []state.Input, func(state.Reader) any) {
	key := state.Join(attach.GeneveDevice)
	when := func(so bool) []state.Key {
		if so {
			return []state.Key{table.ProgramsKey}
		}
		return nil
	}
	inputs := []state.Input{
		state.On(t.Devices, func(_ state.Reader, d table.Device) []state.Key { return when(d.Name == attach.GeneveDevice) }),
		state.On(status.Statuses, func(_ state.Reader, s status.Status) []state.Key {
			return when(s.Table == t.Tunnels.Name() && s.Key == key)
		}),
	}
	return "geneve", inputs, func(r state.Reader) any {
		if !t.Config(r).Outside.Overlay() {
			return abi.GeneveConfig{}
		}
		v := abi.GeneveConfig{On: 1, Port: attach.GenevePort}
		s, _ := status.Statuses.One(r, status.KeyOf(t.Tunnels, key))
		for d := range t.Devices.By(r, table.ByName, key) {
			if s.Done {
				v.Ifindex = uint32(d.Index)
			}
		}
		if v.Ifindex == 0 && s.Err == "" {
			return nil // it is being made
		}
		return v
	}
}
