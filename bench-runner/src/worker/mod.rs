//! worker
pub fn main() -> Result<(), String> {
    Ok(())
}
