import Wire

extension ZigbeeStack {
    /// Frames for a sleeping child that may wait for it while more of the same are to come.
    private static let heldLimit = 4

    /// Whether a frame for `destination` that could as well come later may be sent now: the queue
    /// has room for what others need, and a sleeper fetches what is held for it. Changes nothing.
    public mutating func hasRoom(for destination: ShortAddress) -> Bool {
        mac.queued < MACLayer.queueLimit / 2
            && mac.heldCount(for: .short(destination)) < Self.heldLimit
    }
}
