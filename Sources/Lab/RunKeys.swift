import Evidence
import Wire

/// A run's keys in Wireshark's format, written as soon as they are known, so that the capture of a
/// run that is killed can be read. Each is added to the file when it comes, and stays: without it
/// the frames under it could not be read.
package final class RunKeys {
    private let folder: OutputFolder?
    private let linkKeys: [(key: Key128, label: String)]
    private let names: [EUI64: String]
    /// The latest keys that are in the file, so that none comes into it again and again.
    private var known: [Key128] = []
    /// More than a home uses at a time.
    private static let limit = 1024
    /// The first thing that went wrong while a run went on.
    package private(set) var trouble: EvidenceError?

    package init(home: Home, folder: OutputFolder?) {
        self.folder = folder
        // A lab's own install codes are nobody else's business; the network key, which they
        // protect on its way, is known all the same.
        linkKeys = home.devices.filter { home.credentials[$0.eui64]?.installCode == nil }.map {
            ($0.installCode.linkKey, "\($0.name) install code link key")
        }
        names = Dictionary(
            home.devices.map { ($0.eui64, $0.name) }, uniquingKeysWith: { first, _ in first })
    }

    /// Writes the keys that are known before the run.
    package func begin() throws(EvidenceError) {
        try folder?.write(WiresharkKeys.table(linkKeys), to: .keys)
    }

    /// Adds a network key that is in use from now on.
    package func learn(_ networkKey: Key128) { add(networkKey, "network key") }

    /// Adds a link key that a device has established with the hub.
    package func learn(_ linkKey: Key128, of device: EUI64) {
        add(linkKey, "\(names[device] ?? device.description) established link key")
    }

    private func add(_ key: Key128, _ label: @autoclosure () -> String) {
        guard !known.contains(key) else { return }
        if known.count == Self.limit { known.removeFirst() }
        known.append(key)
        do {
            try folder?.append(WiresharkKeys.table([(key, label())]), to: .keys)
        } catch {
            trouble = trouble ?? error
        }
    }
}
