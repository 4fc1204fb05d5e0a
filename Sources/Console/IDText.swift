import DCC
import Wire

extension EUI64 {
    /// As DUIS writes ids: eight bytes with `-` between them.
    var text: String { dashed }
}
