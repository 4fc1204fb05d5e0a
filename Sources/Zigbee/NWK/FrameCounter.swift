/// What holds for every outgoing frame counter, of the network key and of link keys.
enum FrameCounter {
    /// No frame may carry it (ZigBee 4.3.1.1, 4.4.1.1). Who has come so far seals nothing under
    /// that key any more: each frame is dropped (`counterSpent`) until there is a new key.
    static let end = UInt32.max

    /// Up to where counters are to be reserved in flash now, of which `next` is used next; nil
    /// while at least half of `reserve` is left of what is reserved already.
    ///
    /// Half is left when the next reservation is asked for, so that it is written long before it
    /// is needed. Close to the end there is less to reserve than that, and then nothing.
    static func reservation(next: UInt32, reserved: UInt32, reserve: UInt32) -> UInt32? {
        guard reserved < end, UInt64(next) + UInt64(reserve / 2) >= UInt64(reserved) else {
            return nil
        }
        return UInt32(clamping: UInt64(next) + UInt64(reserve))
    }
}
