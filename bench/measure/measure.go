package measure

// Usage is what a tree of processes has used up to now.
type Usage struct {
	// CPUSeconds is user and system time, of children that ended too.
	CPUSeconds float64
	// PeakRSSMB is the largest sum of resident memory seen since Track;
	// DaemonRSSMB the largest of the first process alone.
	PeakRSSMB, DaemonRSSMB float64
}

// Difference is one path in which a mirror is not equal to the source.
type Difference struct {
	// Path is relative, any bytes; What is short, such as "missing",
	// "content", "mode 0644 is 0600".
	Path, What string
}
