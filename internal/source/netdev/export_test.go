package netdev

// Shrink leaves the kernel hardly any room for changes that wait.
func (s *Source) Shrink() error { return s.changes.SetBuffer(4096, false) }
